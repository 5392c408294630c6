"""What a CT scanner makes of a knee: sharpness, noise, beam hardening, calibration, table."""
