"""Nouns: what every program of the house speaks of. Law: no I/O, no other room of ours."""
