"""Watching a service after a deployment: looks, no-go triggers, reports."""
