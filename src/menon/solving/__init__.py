"""Strategies: flowcharts and prompts applied to problems, and what is computed from their samples."""
