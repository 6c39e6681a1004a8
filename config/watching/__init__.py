"""What lets somebody see how the installation is doing: request ids, logs, figures."""
