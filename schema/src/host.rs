//! The machine on which something was computed.

use serde::{Deserialize, Serialize};

/// Facts of a machine that can change a result. Not its name, address or owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Operating system, such as `linux`.
    pub os: String,
    /// Kernel release, such as `6.1.0`; empty if unknown.
    pub kernel: String,
    /// Processor architecture, such as `x86_64`.
    pub arch: String,
    /// Processor model as the machine states it; empty if unknown.
    pub cpu: String,
    /// Instruction-set extensions that numerical libraries choose their kernels by, sorted.
    pub cpu_features: Vec<String>,
    /// Processors that the process may use.
    pub cpus: u32,
    /// Main memory in bytes; 0 if unknown.
    pub memory_bytes: u64,
    /// The version of lab.
    pub lab: String,
}
