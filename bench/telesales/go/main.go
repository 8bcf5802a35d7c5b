// A consumer as a Go team would write it: franz-go, encoding/json into a struct of the fields that
// telesales needs, one transaction a poll. It does what telesales-consumer does to the same table.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/twmb/franz-go/pkg/kgo"
)

type customer struct {
	ID       string          `json:"id_cliente"`
	Version  int64           `json:"versao"`
	Name     string          `json:"nome"`
	Phone    string          `json:"telefone"`
	Region   string          `json:"regiao"`
	Consents map[string]bool `json:"consentimentos"`
}

type change struct {
	subject   string
	version   int64
	partition int32
	offset    int64
	recorded  int64
	keep      bool
	name      string
	phone     string
	region    string
	mark      string
}

const rowsPerStatement = 500

func pseudonym(key []byte, kind, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(kind + ":" + text))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

func e164(phone string) (string, bool) {
	var digits strings.Builder
	for _, r := range phone {
		if r >= '0' && r <= '9' {
			digits.WriteRune(r)
		}
	}
	number := strings.TrimPrefix(digits.String(), "55")
	if len(number) != 10 && len(number) != 11 {
		return "", false
	}
	return "+55" + number, true
}

func read(key []byte, record *kgo.Record) (change, bool) {
	one := change{
		version: -1, partition: record.Partition, offset: record.Offset,
		recorded: record.Timestamp.UnixMilli(),
	}
	if record.Value == nil {
		one.subject = pseudonym(key, "cliente", string(record.Key))
		return one, true
	}
	var c customer
	if json.Unmarshal(record.Value, &c) != nil || c.ID == "" {
		return one, false
	}
	one.subject, one.version = pseudonym(key, "cliente", c.ID), c.Version
	phone, ok := e164(c.Phone)
	if c.Consents["televendas"] && ok && c.Name != "" {
		one.keep, one.name, one.phone, one.region = true, c.Name, phone, c.Region
		one.mark = pseudonym(key, "telefone", phone)
	}
	return one, true
}

func places(rows, columns int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", columns), ",") + ")"
	return strings.TrimSuffix(strings.Repeat(row+",", rows), ",")
}

func apply(db *sql.DB, changes []change) error {
	newest := map[string]change{}
	for _, one := range changes {
		known, seen := newest[one.subject]
		if !seen || one.version > known.version || one.version < 0 {
			newest[one.subject] = one
		}
	}
	subjects := make([]string, 0, len(newest))
	for subject := range newest {
		subjects = append(subjects, subject)
	}
	sort.Strings(subjects)
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for start := 0; start < len(subjects); start += rowsPerStatement {
		part := subjects[start:min(start+rowsPerStatement, len(subjects))]
		keys := make([]any, len(part))
		for place, subject := range part {
			keys[place] = subject
		}
		rows, err := tx.Query("SELECT subject, version FROM contacts WHERE subject IN "+places(1, len(part))+" ORDER BY subject FOR UPDATE", keys...)
		if err != nil {
			return err
		}
		for rows.Next() {
			var subject string
			var version int64
			if err := rows.Scan(&subject, &version); err != nil {
				return err
			}
			if one := newest[subject]; one.version >= 0 && one.version <= version {
				delete(newest, subject)
			}
		}
		rows.Close()
		var values []any
		count := 0
		now := time.Now().UnixMilli()
		for _, subject := range part {
			one, ok := newest[subject]
			if !ok {
				continue
			}
			count++
			values = append(values, one.subject, one.version, one.partition, one.offset, one.recorded, now)
			if one.keep {
				values = append(values, 0, one.name, one.phone, one.region, one.mark)
			} else {
				values = append(values, 1, nil, nil, nil, nil)
			}
		}
		if count == 0 {
			continue
		}
		_, err = tx.Exec("REPLACE INTO contacts (subject, version, source_partition, source_offset, recorded_ms, changed_ms, deleted, name, phone, region, phone_mark) VALUES "+places(count, 11), values...)
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

func main() {
	want, _ := strconv.Atoi(os.Args[1])
	db, err := sql.Open("mysql", os.Getenv("GO_DATABASE"))
	check(err)
	db.SetMaxOpenConns(1)
	client, err := kgo.NewClient(
		kgo.SeedBrokers(os.Getenv("KAFKA_BROKERS")), kgo.ConsumerGroup(os.Getenv("KAFKA_GROUP")),
		kgo.ConsumeTopics(os.Getenv("KAFKA_TOPIC")), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	check(err)
	key := []byte(os.Getenv("PSEUDONYM_KEY"))
	ctx := context.Background()
	for done := 0; done < want; {
		fetches := client.PollRecords(ctx, 2000)
		var changes []change
		fetches.EachRecord(func(record *kgo.Record) {
			if one, ok := read(key, record); ok {
				changes = append(changes, one)
			}
			done++
		})
		check(apply(db, changes))
		check(client.CommitUncommittedOffsets(ctx))
	}
	fmt.Println("done")
	time.Sleep(time.Hour)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
