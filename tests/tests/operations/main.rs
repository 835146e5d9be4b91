//! The program as operators run it.

mod causes;
mod charts;
mod compose;
mod console;
mod demo;
mod documents;
mod first_hour;
mod follow;
mod handover;
mod handover_faults;
mod http_port;
mod log_faults;
mod logins;
mod metrics;
mod monitoring;
mod operator_page;
mod packaging;
mod readiness;
mod reload;
mod serve;
mod service;
mod signals;
mod statements;
mod tenant_comment;
mod top;
