"""What everything stands on, which knows no model: errors, integer arithmetic, files, memory."""
