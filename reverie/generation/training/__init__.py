"""Training of the small model on the measurable world, stage by stage: `loop.train`."""
