module feira/bench/telesales

go 1.26.0

require (
	github.com/go-sql-driver/mysql v1.10.1
	github.com/twmb/franz-go v1.22.2
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	github.com/twmb/franz-go/pkg/kmsg v1.15.0 // indirect
)
