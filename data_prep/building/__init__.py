"""Builds that run in parallel and resume, and what they leave behind."""
