"""Feeds the scheduler's core and obeys it. Law: decides nothing; time, links and logs are only here."""
