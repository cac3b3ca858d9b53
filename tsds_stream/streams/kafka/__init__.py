"""Documents from Kafka, revisions to Kafka: exactly once, in transactions."""
