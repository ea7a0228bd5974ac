"""What the camera sees: a person in front of a background."""
