package events

import "github.com/callplane/callplane/contracts/internal/strictjson"

// NumberFits says whether an event can hold a JSON number: one of at most 64 characters, with an exponent of at most 400 either way. What an
// event shall carry as it was given, such as a session's metadata, is held to it where it comes in.
func NumberFits(number string) bool { return strictjson.CheckNumber(number) == nil }
