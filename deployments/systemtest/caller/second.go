package caller

// SecondConnection is a server's URL by which a token joins beside its own participant, as a
// publisher of the identity "IDENTITY#name". LiveKit lets every token do so that may publish, by
// the parameter "publish" of the signal connection. The SDK does not have it; it appends the path
// and its parameters to what it is given, so they are made the value of one more parameter here.
func SecondConnection(url, name string) string { return url + "/rtc?publish=" + name + "&sdk_path=" }
