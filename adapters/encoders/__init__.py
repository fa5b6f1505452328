"""Image-text encoders: texts and pictures as vectors of one space."""
