//! One file per channel: how an alert leaves the house.
