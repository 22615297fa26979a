"""The processes that run users' code: keepers, templates, workers and holders of programs.

Law: standard library only (and cloudpickle), any Python from 3.8 on; started as a script where nothing is installed.
"""
