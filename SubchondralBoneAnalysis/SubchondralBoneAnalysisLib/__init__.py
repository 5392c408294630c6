"""The science of the knee job: trabecular bone of the knee, measured. Never imports slicer, qt or ctk."""
