"""The science of the hand job: joint space narrowing between films of one hand. Never imports slicer, qt or ctk."""
