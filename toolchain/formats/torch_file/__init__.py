"""What `torch.save` wrote, read without running it: the zip, the pickle, and a trusted one."""
