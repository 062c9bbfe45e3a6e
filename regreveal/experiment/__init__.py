"""An experiment: one TOML file, the stages it asks for, and the folder they leave."""
