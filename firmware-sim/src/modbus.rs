//! Hydrants as Modbus units over TCP and RTU.
