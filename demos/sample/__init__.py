"""The sample stream: real pictures, clips and spoken sentences, composed by a seeded generator that knows the truth."""
