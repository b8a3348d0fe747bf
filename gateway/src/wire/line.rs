//! Reports → InfluxDB line protocol.
