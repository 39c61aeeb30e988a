"""Training of the small model on the measurable world: `reverie train STAGE`."""
