"""The agent of one machine: prepares computations, owns worker processes, keeps results until they are taken.

Law: a pure core decides, the service feeds and obeys it; payloads pass through unread.
"""
