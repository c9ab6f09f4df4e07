"""The systems that Tidemill is compared with: each started by its own guide, in an environment of its own."""
