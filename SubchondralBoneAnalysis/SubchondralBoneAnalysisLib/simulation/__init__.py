"""Knees with a known answer: shapes, tissues and scanners. Imports the steps of the knee job, never the reverse."""
