"""The administrator's desk: what the admin site shows beyond lists and rows. It reads all apps, and none imports it."""
