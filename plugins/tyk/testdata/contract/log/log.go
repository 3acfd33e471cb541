// Package log is the contract of Tyk's package of that name.
package log

import "github.com/sirupsen/logrus"

var shared = logrus.New()

// Get returns the one logger of the gateway.
func Get() *logrus.Logger { return shared }
