"""Cohorts of simulated knees in folders that look like a user's own data, and the cohort that models are tested on."""
