//! influx
pub mod delivery;
pub mod pace;
pub mod parcel;
pub mod verdict;
