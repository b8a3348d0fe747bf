//! What the tests share: real neighbours started on free ports and ended by their process id.

pub mod browser;
pub mod camera;
pub mod certificates;
pub mod city;
pub mod crash;
pub mod databases;
pub mod digest;
pub mod faulty_disk;
pub mod hang_up;
pub mod jpeg;
pub mod mad;
pub mod mounted;
pub mod neighbours;
pub mod onvif;
pub mod pressure;
pub mod process;
pub mod providers;
pub mod receiver;
pub mod running;
pub mod site;
pub mod standin;
pub mod station;
pub mod talker;
