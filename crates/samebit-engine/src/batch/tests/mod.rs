//! Random schedules against "alone, token by token", and the same comparison made to fail by schedulers that are wrong on purpose.

mod models;
mod plan;
mod run;
mod toy;
