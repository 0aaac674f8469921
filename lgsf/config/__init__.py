"""What an experiment is: the YAML file as frozen models. Pydantic alone: the workflow is planned without torch."""
