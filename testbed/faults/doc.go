// Package faults runs the issuer as a process of its own and does to it what happens to servers: it is killed at any
// moment, its disk fails to sync, its disk is full. Whatever was answered must hold afterwards.
//
// Each test has a control: a build of the issuer with the protection taken out (the tags fault_… of storage/sqlite), in
// which the same test must find what is lost.
package faults
