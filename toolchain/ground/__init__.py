"""What every layer may use and what knows no model: errors, integer arithmetic, files, memory."""
