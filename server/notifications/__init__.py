"""Notifications: notices in the app, followed by a WeChat message where the person consented."""
