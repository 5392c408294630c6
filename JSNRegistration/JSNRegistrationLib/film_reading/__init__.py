"""How a film is read: which file it is, its grey values, its pixel spacing."""
