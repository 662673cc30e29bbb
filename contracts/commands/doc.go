// Package commands is the published language of the call.commands exchange: requests that one
// service makes of another, and the replies. The routing key is the command's name. Encoding is
// strict; decoding lets fields pass that this build does not know, so that services can be replaced
// one after the other. A change that an old reader could trip over is a command with a new name.
package commands
