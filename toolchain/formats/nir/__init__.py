"""NIR: files to Graphs and back, the extension nodes, and what the frameworks mean by a file."""
