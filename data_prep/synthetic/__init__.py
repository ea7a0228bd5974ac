"""Synthetic faces: people who do not exist, drawn from numbers alone.

An *identity* says who somebody is, a *session* says when and how they were seen. The
renderer turns the two into linear light, the camera turns light into a picture.
"""
