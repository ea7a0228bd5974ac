"""Synthetic faces of people who do not exist.

An *identity* describes a person, a *session* describes when and how they are seen. The renderer
turns both into linear light, and the camera turns light into an image.
"""
