//! Drivers, ORMs and tools of other languages.

mod applications;
mod driver_habits;
mod guides;
mod java_habits;
mod languages;
mod programs;
