"""What an app's process does: load the app, serve its clients, run its ServerApp."""
