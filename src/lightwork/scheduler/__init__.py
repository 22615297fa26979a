"""Decides who runs what. Law: a pure core decides, the service feeds and obeys it; payloads pass through unread."""
