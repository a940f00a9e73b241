"""Answers to requests for access and portability: gathered, and written for people and machines."""
