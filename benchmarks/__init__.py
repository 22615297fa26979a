"""What it costs, as ratios to a yardstick in the same run. Law: nothing here decides a test."""
