"""lava-dl's `.net`: files to Programs and back."""
