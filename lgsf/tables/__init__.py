"""From runs to tables: every run, mean and spread, tests, effects, beyond R@K."""
